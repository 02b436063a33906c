"""Pure codecs of what goes over the wire: signatures, chunk framing, checksums, ranges, XML, dates. No Twisted."""
