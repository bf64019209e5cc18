"""`etalon hooks`: the receiver of shops' webhooks, and making the webhooks in a shop."""

from __future__ import annotations

import typer
import uvicorn

from assets.runtime import Runtime
from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console
from orchestration.webhooks import Receiver, webhook_app
from resources.connectors.woocommerce.connector import WooCommerceConnector
from resources.connectors.woocommerce.webhooks import doubts
from resources.errors import ConfigurationError, Where
from resources.fast_lane.doorbell import Doorbell
from resources.fast_lane.snapshot import folder_of

KEEP_ALIVE_S, SHUTDOWN_S = 15, 10
CONNECTIONS = 200
"""More than that at once are answered 503. WooCommerce sends nothing twice: a loss is found when the shop is asked (`check_ms`)."""

app = typer.Typer(help="Take webhooks of shops, and make them in a shop.", invoke_without_command=True)


@app.callback()
def hooks(
    context: typer.Context,
    host: str = typer.Option("127.0.0.1", help="Address to listen on. A proxy in front of it brings TLS."),
    port: int = typer.Option(3002, min=1, max=65535, help="Port."),
) -> None:
    """Take the signed webhooks of shops, until Ctrl-C or SIGTERM: POST /webhooks/SYSTEM, GET /health.

    A delivery is kept as a hint and answered; `etalon worker` reads what it names. The secret is `webhook_secret` of the system.

    \b
    Examples:
      etalon hooks                                       http://127.0.0.1:3002/webhooks/shop_be
      etalon hooks --port 8080
      etalon hooks register shop_be --url https://hooks.example.com/webhooks/shop_be
    """
    if context.invoked_subcommand is not None:
        return
    runtime = open_runtime()
    secrets = webhook_secrets(runtime)
    if not secrets:
        raise ConfigurationError(
            "no system has a webhook_secret, so no delivery could be trusted",
            where=Where(file="retailer.yaml", field="systems"),
            action="give the shop a webhook_secret, from the environment",
        )
    bell = Doorbell(folder_of(runtime.settings.data_dir))
    receiver = Receiver(runtime.operations, secrets, clock=runtime.settings.clock(), on_hint=bell.ring)
    for code in sorted(secrets):
        console.print(f"http://{host}:{port}/webhooks/{code}", highlight=False)
    uvicorn.run(
        webhook_app(receiver),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
    )
    runtime.operations.close()


@app.command("register")
def register(
    system: str = typer.Argument(help="A WooCommerce of retailer.yaml."),
    url: str = typer.Option(help="Where the shop reaches the receiver, with /webhooks/SYSTEM at its end."),
) -> None:
    """Make the webhooks for orders and items in a shop, or switch them on again. The shop's key needs the right to write.

    Those that are there get the present webhook_secret: do it again after changing it.

    \b
    Examples:
      etalon hooks register shop_be --url https://hooks.example.com/webhooks/shop_be
    """
    runtime = open_runtime()
    secret = webhook_secrets(runtime).get(runtime.retailer.system(system).code)
    connector = runtime.connectors[system]
    if secret is None or not isinstance(connector, WooCommerceConnector):
        raise ConfigurationError(
            f"{system} has no webhook_secret",
            where=Where(system_code=system, file="retailer.yaml"),
            action="only a WooCommerce has webhooks; give it a webhook_secret, from the environment",
        )
    for made in connector.register_webhooks(url=url, secret=secret):
        console.print(f"{made.topic}: {made.outcome} (webhook {made.webhook_id})", highlight=False)
    for doubt in doubts(url, system):
        console.print(f"Will it be reached? {doubt}", highlight=False)


def webhook_secrets(runtime: Runtime) -> dict[str, str]:
    """System code -> what it signs its deliveries with, of the systems that have it."""
    found = {system.code: getattr(system, "webhook_secret", None) for system in runtime.retailer.systems}
    return {code: secret.get_secret_value() for code, secret in found.items() if secret is not None}
