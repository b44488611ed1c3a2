//! Fronts over real sockets.
