//! A small HTTP client that keeps its connection: thousands of it fit into one process.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str) -> Client {
        Client {
            address: address.to_owned(),
            connection: None,
        }
    }

    /// Status and body. A connection that was closed meanwhile is made again, once.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> (u16, Vec<u8>) {
        if let Some(answer) = self.try_call(method, path, token, body).await {
            return answer;
        }
        self.connection = None;
        let answer = self.try_call(method, path, token, body).await;
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    async fn try_call(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Option<(u16, Vec<u8>)> {
        if self.connection.is_none() {
            let stream = TcpStream::connect(&self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            self.connection = Some(BufReader::with_capacity(1024, stream));
        }
        let connection = self.connection.as_mut()?;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: merchant\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        connection.get_mut().write_all(&request).await.ok()?;
        let (mut status, mut length) = (0, 0);
        let mut line = String::new();
        while connection.read_line(&mut line).await.ok()? > 2 {
            if status == 0 {
                status = line.split(' ').nth(1)?.parse().ok()?;
            } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.ok()?;
        (status > 0).then_some((status, body))
    }
}
