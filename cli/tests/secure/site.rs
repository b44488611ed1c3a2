//! A site of one page, for what follows an address: it counts questions, knows tags, and can send those who ask elsewhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a site answers.
#[derive(Default)]
struct Page {
    status: u16,
    tag: &'static str,
    body: &'static str,
    /// Where a redirect leads.
    location: String,
    /// Questions so far.
    num_asked: u32,
    /// Questions that knew the tag already, and got no body.
    num_known: u32,
}

/// A server of one page.
pub(crate) struct Site {
    page: Arc<Mutex<Page>>,
    pub(crate) url: String,
}

impl Site {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let page = Arc::<Mutex<Page>>::default();
        let answered = Arc::clone(&page);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // One that asks and goes is no fault of the site.
                drop(answer(stream, &answered));
            }
        });
        Self {
            page,
            url: format!("http://{address}/app.json"),
        }
    }

    pub(crate) fn set(&self, status: u16, tag: &'static str, body: &'static str) {
        *self.page.lock().expect("not poisoned") = Page {
            status,
            tag,
            body,
            ..Page::default()
        };
    }

    /// Sends those who ask elsewhere.
    pub(crate) fn redirect(&self, status: u16, location: &str) {
        *self.page.lock().expect("not poisoned") = Page {
            status,
            location: location.to_owned(),
            ..Page::default()
        };
    }

    pub(crate) fn num_asked(&self) -> u32 {
        self.page.lock().expect("not poisoned").num_asked
    }

    pub(crate) fn num_known(&self) -> u32 {
        self.page.lock().expect("not poisoned").num_known
    }
}

fn answer(mut stream: TcpStream, page: &Mutex<Page>) -> std::io::Result<()> {
    let mut known = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(tag) = line.to_lowercase().strip_prefix("if-none-match:") {
            tag.trim().clone_into(&mut known);
        }
    }
    let mut page = page.lock().expect("not poisoned");
    page.num_asked += 1;
    let (mut status, mut body) = (page.status, page.body);
    if status == 200 && known == page.tag {
        page.num_known += 1;
        (status, body) = (304, "");
    }
    write!(
        stream,
        "HTTP/1.1 {status} x\r\netag: {}\r\nlocation: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        page.tag,
        page.location,
        body.len()
    )
}
