"""The server under `twistd -ny run.tac`, configured by POST3_* variables: the shape of your own .tac."""

from twisted.application.service import Application

from post3tw.tap import makeService

application = Application("post3")
makeService({}).setServiceParent(application)
