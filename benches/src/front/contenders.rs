//! nginx, and hitch with Varnish, as a team would put them ahead of a search engine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::load::ask;
use super::processes::{Running, free_port, until};
use super::site::Site;

/// Another server that speaks TLS.
pub(super) struct Contender {
    pub(super) process: Running,
    pub(super) url: String,
    /// What it stands on, kept while it runs.
    _behind: Option<Running>,
}

/// Head of a configuration of nginx: one worker, TLS 1.3, connections that stay open.
fn nginx_head(site: &Site, name: &str, port: u16) -> (PathBuf, String) {
    let folder = site.folder.path().join(name);
    let (certificate, key) = site.certificate();
    let at = folder.display();
    let head = format!(
        "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {at}/body;
proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
proxy_cache_path {at}/cache keys_zone=answers:10m use_temp_path=off;
server {{ listen 127.0.0.1:{port} ssl http2; ssl_protocols TLSv1.3;
ssl_certificate {}; ssl_certificate_key {};
",
        certificate.display(),
        key.display()
    );
    (folder, head)
}

fn nginx(site: &Site, name: &str, server: &str) -> Result<Contender> {
    let port = free_port()?;
    let (folder, head) = nginx_head(site, name, port);
    fs::create_dir_all(&folder)?;
    let file = folder.join("nginx.conf");
    fs::write(&file, format!("{head}{server}\n}} }}\n"))?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-p").arg(&folder);
    let process = Running::start(&mut command, &folder.join("log"))?;
    serving(site, process, port, None)
}

/// Waits until a contender answers.
fn serving(site: &Site, process: Running, port: u16, behind: Option<Running>) -> Result<Contender> {
    // The certificate names hosts, not ports.
    let url = format!("https://127.0.0.1:{port}");
    let access = site.access()?;
    until("another server", || ask(&access, &[&url]).is_ok())?;
    Ok(Contender {
        process,
        url,
        _behind: behind,
    })
}

/// nginx with the answer as a file.
pub(super) fn static_file(site: &Site) -> Result<Contender> {
    let folder = site.folder.path().display().to_string();
    let server = format!("default_type application/json; location / {{ root {folder}; }}");
    let contender = nginx(site, "static", &server)?;
    Ok(Contender {
        url: format!("{}/answer", contender.url),
        ..contender
    })
}

/// nginx with a cache of answers by URI and body.
pub(super) fn proxy_cache(site: &Site) -> Result<Contender> {
    let server = format!(
        "location / {{ proxy_pass https://127.0.0.1:{}; proxy_ssl_verify off; proxy_http_version 1.1;
proxy_set_header Connection \"\"; proxy_cache answers; proxy_cache_methods GET POST; proxy_cache_valid 200 1h;
proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
proxy_cache_key $request_method$request_uri$request_body; client_body_buffer_size 64k; }}",
        site.serve_port
    );
    let contender = nginx(site, "cached", &server)?;
    Ok(Contender {
        url: format!("{}/notes/_search", contender.url),
        ..contender
    })
}

/// hitch for TLS, Varnish behind it, and nginx with the file behind that.
pub(super) fn hitch_and_varnish(site: &Site) -> Result<Contender> {
    let folder = site.folder.path().join("varnish");
    fs::create_dir_all(&folder)?;
    let (file_port, varnish_port, port) = (free_port()?, free_port()?, free_port()?);
    let (at, root) = (folder.display(), site.folder.path().display());
    let configuration = format!(
        "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log; events {{ }}
http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi; default_type application/json;
server {{ listen 127.0.0.1:{file_port}; location / {{ root {root}; }} }} }}\n"
    );
    fs::write(folder.join("nginx.conf"), configuration)?;
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-p")
        .arg(&folder);
    let behind = Running::start(&mut command, &folder.join("nginx.log"))?;
    let vcl = format!(
        "vcl 4.1; backend default {{ .host = \"127.0.0.1\"; .port = \"{file_port}\"; }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}\n"
    );
    fs::write(folder.join("default.vcl"), vcl)?;
    let mut pem = fs::read_to_string(site.certificate().1)?;
    pem.push_str(&fs::read_to_string(site.certificate().0)?);
    fs::write(folder.join("server.pem"), pem)?;
    // One shell is the parent of both, so that both are measured.
    let script = format!(
        "varnishd -F -n {at}/work -a 127.0.0.1:{varnish_port} -f {at}/default.vcl -s malloc,256m &
hitch --frontend='[127.0.0.1]:{port}' --backend='[127.0.0.1]:{varnish_port}' --workers=1 \\
--tls-protos=TLSv1.3 $([ $(id -u) = 0 ] && echo --user=nobody) {at}/server.pem &
trap 'kill %1 %2' TERM; wait"
    );
    let process = Running::start(
        Command::new("bash").args(["-c", &script]),
        &folder.join("log"),
    )?;
    let contender = serving(site, process, port, Some(behind))?;
    Ok(Contender {
        url: format!("{}/answer", contender.url),
        ..contender
    })
}
