//! Keys and rights over real sockets: what a key sees of documents, in one process and through fronts and roots.

mod connection;
mod denied;
mod hidden_terms;
mod index_filters;
mod items;
mod matrix;
mod own_rights;
mod paths;
mod processes;
mod revoked;
mod shared;
mod tasks;
mod tenants;
