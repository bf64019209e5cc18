"""Alerts: telling people, by e-mail or to a webhook, that an incident opened, worsened or closed.

`composing` makes the text, `mail` and `webhook` send it, `delivering` takes what waits and keeps what became of it. A further
means is one more class with `send`, and an entry in `senders`.
"""

from resources.alerts.composing import compose
from resources.alerts.delivering import Delivered, Sender, deliver, senders
from resources.alerts.mail import MailSender
from resources.alerts.webhook import WebhookSender

__all__ = ["Delivered", "MailSender", "Sender", "WebhookSender", "compose", "deliver", "senders"]
