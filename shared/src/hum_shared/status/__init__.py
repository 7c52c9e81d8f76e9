"""The status endpoint: what the tasks of a workspace are doing, as JSON, events, Prometheus text and a page.

It reads and never writes. The extra `hum_shared[status]` installs what it needs; :mod:`hum_shared.status.task`
may be imported without it.
"""
