"""Shops on loopback: a PrestaShop 8 webservice and a WooCommerce REST v3, invented or replayed from recordings."""

from sandbox.servers.faults import Fault, FaultPlan
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.replay import ReplayServer
from sandbox.servers.woocommerce import WooCommerceServer

__all__ = ["Fault", "FaultPlan", "PrestaShopServer", "ReplayServer", "WooCommerceServer"]
