"""Messages by e-mail, through any SMTP server."""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import SplitResult, unquote, urlsplit

from resources.errors import ConfigurationError, RetryableError, Where
from resources.operations.alerts import Alert

TIMEOUT_S = 10.0
_FIELD = "ETALON_ALERT_SMTP_URL"


class MailSender:
    """Sends one message to all receivers at once.

    ``url``: `smtp://[user:password@]host[:port]` (STARTTLS where the server offers it) or `smtps://…` (TLS from the start). A password
    is only given over TLS, or to this machine itself. ``tls``: whom to believe; by default the built-in authorities.
    """

    def __init__(self, url: str, *, sender: str, receivers: Sequence[str], tls: ssl.SSLContext | None = None) -> None:
        self._parts = _parts(url)
        self._sender = sender
        self._receivers = tuple(receivers)
        self._tls = tls or ssl.create_default_context()

    def __repr__(self) -> str:
        return f"MailSender({self._parts.hostname})"

    def send(self, alert: Alert) -> None:
        """Raises RetryableError when the server did not take it from us for every receiver."""
        message = EmailMessage()
        message["Subject"] = alert.subject
        message["From"] = self._sender
        message["To"] = ", ".join(self._receivers)
        message["Date"] = format_datetime(alert.created_at)
        # The same id at each attempt: a message that was sent twice shows once.
        message["Message-ID"] = f"<{alert.alert_id}@etalon.invalid>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(alert.text)
        host = self._parts.hostname or ""
        try:
            with self._connected(host) as server:
                refused = server.send_message(message, self._sender, self._receivers)
        except smtplib.SMTPResponseException as error:
            raise _not_sent(f"{host} answered {error.smtp_code} ({type(error).__name__})") from None
        except smtplib.SMTPRecipientsRefused:
            raise _not_sent(f"{host} refuses every receiver of ETALON_ALERT_TO") from None
        except (smtplib.SMTPException, OSError) as error:
            raise _not_sent(f"{host} cannot be reached ({type(error).__name__})") from None
        if refused:
            raise _not_sent(f"{host} refuses {len(refused)} of {len(self._receivers)} receivers")

    def _connected(self, host: str) -> smtplib.SMTP:
        port, user = self._parts.port, self._parts.username
        if self._parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_S, context=self._tls)
            is_private = True
        else:
            server = smtplib.SMTP(host, port or 25, timeout=TIMEOUT_S)
            server.ehlo()
            is_private = server.has_extn("starttls")
            if is_private:
                server.starttls(context=self._tls)
        if user is not None:
            if not is_private and not _is_here(host):
                server.close()
                raise _not_sent(f"{host} offers no TLS, and a password is not sent in the clear")
            server.login(unquote(user), unquote(self._parts.password or ""))
        return server


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ConfigurationError(
            f"{_FIELD} must be an address like smtp://user:password@mail.example.org:587 or smtps://…",
            where=Where(field=_FIELD),
            action="mend the environment",
        )
    return parts


def _not_sent(what: str) -> RetryableError:
    return RetryableError(what, where=Where(field=_FIELD))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
