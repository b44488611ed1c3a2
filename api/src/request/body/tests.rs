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

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_408_and_a_slow_one_is_read() {
    let pieces = |num_bytes: usize, pause: u64, num_pieces: usize| {
        let stream = futures::stream::unfold(0, move |number| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            let piece = Bytes::from(vec![b'a'; num_bytes]);
            (number < num_pieces).then_some((Ok::<_, std::io::Error>(piece), number + 1))
        });
        Body::from_stream(stream)
    };
    let read = async |body: Body| {
        let options = ApiOptions::default();
        let headers = HeaderMap::new();
        let mut reader = BodyReader::new(body, &headers, &options, 1 << 30)?;
        let mut num_bytes = 0;
        while let Some(piece) = reader.next().await? {
            num_bytes += piece.len();
        }
        Ok::<_, ApiError>(num_bytes)
    };
    let drips = read(pieces(1, 20, 1_000)).await.expect_err("it drips");
    assert_eq!(drips.status, StatusCode::REQUEST_TIMEOUT);
    let slow = read(pieces(2 << 10, 2, 1_000)).await.expect("slow enough");
    assert_eq!(slow, 2_000 << 10);
}
