MODEL: bytes
