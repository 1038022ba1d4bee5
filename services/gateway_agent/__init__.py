"""Keeps at the gateway what is lent to it: the keys by which it checks tokens, and its certificate.

Both come from Vault and change by themselves, so they are not declared with the stack. It runs for ever in little
memory: nothing but the interpreter's own library is loaded.
"""
