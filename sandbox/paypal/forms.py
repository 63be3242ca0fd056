"""Bodies of `multipart/form-data`, of which PayPal reads the JSON in the part `input`; `routes` calls it.

https://developer.paypal.com/docs/disputes/integration-guide/
"""

from email import message_from_bytes
from email.policy import HTTP

from sandbox.paypal.errors import PayPalError


def json_part(content_type: str, raw: bytes) -> bytes:
    """The content of the part `input`.

    Raises:
        PayPalError: 400, there is none, or it is no JSON.
    """
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw, policy=HTTP)
    for part in message.walk():
        named = part.get_param("name", header="content-disposition") == "input"
        content = part.get_payload(decode=True)
        if named and part.get_content_type() == "application/json" and isinstance(content, bytes):
            return content
    raise PayPalError("MISSING_REQUIRED_PARAMETER", field="/input")
