"""Central for a cluster: a bare repository behind HTTP with two logins, `python -m tasks.central --folder /srv/central`.

repository    the bare repository and its hook, which both modes use
rights        who may fetch, who may push
body          a request's body, block by block
server        git's own http-backend behind a small threaded server

`reader` fetches, `writer` also pushes; their passwords are NIGHTLOOM_READER_PASSWORD and NIGHTLOOM_WRITER_PASSWORD. The
repository is http://<host>:<port>/central.git; /healthz answers anybody. The traffic is not encrypted: across networks that
others use, put a TLS proxy in front.
"""
