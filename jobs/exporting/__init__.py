"""Jobs with their logs, to take elsewhere: as an archive (`archive`) or as lines (`rows`), in pieces and bounded memory.

`forms` names both, `attachment` is a download of one, `delivery` brings one to a file, to stdout or into a bucket.
"""
