"""What must survive power loss: one SQLite file for every protocol. See `bessctl.store.database`."""

from bessctl.store.database import Statement, Store
from bessctl.store.migrations import Migration, StoreTooNew

__all__ = ["Migration", "Statement", "Store", "StoreTooNew"]
