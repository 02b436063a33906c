"""Every index transaction, one module a noun: `async def f(tx, …)` over ITransaction, the same on every database."""
