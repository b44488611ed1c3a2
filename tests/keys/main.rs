//! Keys and rights over real sockets: what a key sees of documents, in one process and through fronts and roots.

mod matrix;
mod processes;
mod tasks;
mod tenants;
