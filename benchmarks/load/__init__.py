"""The load generator: a process of its own that sends prebuilt bytes and counts answers.

An object costs it two system calls, two patched UIDs and a search in the answer, so that it is
never the bottleneck; what it costs is reported beside the results. An association sends its next
object when the last one has been answered. Large objects are sent from a file, without a copy.

``python -m benchmarks.load`` is given an `Order` as JSON on standard input and writes an `Outcome`
as JSON.
"""
