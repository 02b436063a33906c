"""A running server: its ports, certificates, signals, first-start key and banner. Put together by post3tw.tap."""
