"""Trust in the certificates of vendors: read once in a process, since reading every authority takes 35 ms."""

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """The context that every HTTP client shares; nobody changes it after it was made."""
    return httpx.create_ssl_context(trust_env=False)
