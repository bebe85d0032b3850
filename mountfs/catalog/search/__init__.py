"""The search index: filled behind the writes (`filling`), asked on connections of its readers' own (`Search`)."""

from mountfs.catalog.search.answers import NEWEST, Below, Cursor, Found, JobFound, Order, Page, Sum
from mountfs.catalog.search.drivers import USUAL, Reach
from mountfs.catalog.search.search import Search
from mountfs.catalog.search.units import Member, Standing, Units
from mountfs.catalog.search.values import JobThen, Values

__all__ = [
    "NEWEST",
    "USUAL",
    "Below",
    "Cursor",
    "Found",
    "JobFound",
    "JobThen",
    "Member",
    "Order",
    "Page",
    "Reach",
    "Search",
    "Standing",
    "Sum",
    "Units",
    "Values",
]
