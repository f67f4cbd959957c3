"""The lake: engine sessions, table names and locations, and the only code that writes tables."""

import os

# gRPC would restart its threads in every forked child, also in one that is about to run another
# program: Spark's JVM is started so, and one start in twenty was aborted before it began.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
