"""Recording: what programs write into the IR before anything is computed.

Storages with views and versions, segments of pending work, and source lines; no kernels, no API.
"""
