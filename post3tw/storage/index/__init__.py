"""The index: schema, migrations, transactions written once, and the databases that run them."""
