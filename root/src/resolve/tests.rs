//! Queries resolved against mappings: tables of what becomes what.
