//! Headers of answers whatever is asked.

use http::HeaderName;

/// Header by which clients know the product.
pub(crate) const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");

/// Ways to authenticate, as 401 names them.
pub(crate) const CHALLENGES: [&str; 3] = [
    "ApiKey",
    "Bearer realm=\"security\"",
    "Basic realm=\"security\", charset=\"UTF-8\"",
];
