"""A mail server for tests. It prints a JSON object for its port, and then one for each mail that it took.

    mail_server.py ENCRYPTION DIRECTORY

ENCRYPTION is `tls`, `starttls` or `none`; certificate and key are `server.pem` and `server.key` in the directory. Everybody
has to log in as `jobs` with the password `tiger`. Mail to `refused@..` is refused. It ends when its standard input does.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Journal:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        tell(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "content": envelope.content.decode(),
                "user": session.auth_data,
                "encrypted": server.transport.get_extra_info("cipher") is not None,
            }
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    if (data.login, data.password) == (b"jobs", b"tiger"):
        return AuthResult(success=True, auth_data="jobs")
    return AuthResult(success=False, handled=False)


def tell(what):
    print(json.dumps(what), flush=True)


async def main(encryption, directory):
    context = None
    if encryption != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{directory}/server.pem", f"{directory}/server.key")
    is_started = encryption == "starttls"

    def session():
        return SMTP(
            Journal(),
            hostname="localhost",
            tls_context=context if is_started else None,
            require_starttls=is_started,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=is_started,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=None if is_started else context)
    tell({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(sys.argv[1], sys.argv[2]))
