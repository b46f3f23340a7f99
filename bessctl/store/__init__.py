"""What must survive power loss: one SQLite file for every protocol. See `bessctl.store.database`."""

from bessctl.store.database import BatchRefused, Statement, Store
from bessctl.store.migrations import Migration, StoreTooNew

__all__ = ["BatchRefused", "Migration", "Statement", "Store", "StoreTooNew"]
