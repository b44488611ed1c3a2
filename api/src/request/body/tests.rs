//! Bodies: types, encodings, limits.

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

async fn read(body: Vec<u8>, limit: usize, encoding: &'static str) -> Result<Vec<u8>, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_ENCODING,
        encoding.parse().expect("a header"),
    );
    let options = ApiOptions::default();
    let mut reader = BodyReader::new(Body::from(body), &headers, &options, limit)?;
    let mut whole = Vec::new();
    while let Some(piece) = reader.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

#[tokio::test]
async fn gzip_is_unpacked() {
    let text = b"{\"a\":1}\n".repeat(1_000);
    assert_eq!(
        read(packed(&text), 1 << 20, "gzip").await.expect("fits"),
        text
    );
}

#[tokio::test]
async fn a_gzip_bomb_is_413() {
    let bomb = packed(&vec![b' '; 40 << 20]);
    let error = read(bomb, 100 << 20, "gzip").await.expect_err("a bomb");
    assert_eq!(error.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let error = read(vec![b'a'; 11], 10, "identity")
        .await
        .expect_err("too large");
    assert_eq!(error.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_torn_gzip_body_is_400() {
    let mut torn = packed(&b"{\"a\":1}\n".repeat(1_000));
    torn.truncate(20);
    let error = read(torn, 1 << 20, "gzip").await.expect_err("torn");
    assert_eq!(error.status, StatusCode::BAD_REQUEST);
}
