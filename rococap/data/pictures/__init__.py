"""How the bytes of a picture become 8-bit RGB: right, or refused with the reason.

Imports nothing else of data. Front door: `decode`.
"""
