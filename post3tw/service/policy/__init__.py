"""Who may do what: the policy language and the one decision function. Pure: no Twisted, no storage, no clock."""
