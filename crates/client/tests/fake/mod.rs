//! A fake service: answers what a test tells it to, over real HTTP/1.1 on this machine.
#![allow(dead_code)] // each test file uses its part

use std::collections::HashMap;
use std::sync::Arc;

use millstream_client::Endpoint;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request that the fake received.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    /// The operation: `PutRecords`.
    pub fn operation(&self) -> &str {
        self.headers["x-amz-target"].split('.').next_back().unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the fake answers: status, headers, body. Status 0: nothing, ever.
pub type Answer = (u16, &'static str, Vec<u8>);

pub fn ok(body: impl Into<String>) -> Answer {
    (200, "", body.into().into_bytes())
}

pub fn error(status: u16, code: &str) -> Answer {
    let body = format!(r#"{{"__type":"{code}","message":"the fake says no"}}"#);
    (status, "x-amzn-requestid: 42\r\n", body.into_bytes())
}

pub struct Fake {
    pub endpoint: Endpoint,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Answers each request with what `answer` makes of it and of how many came before it.
    pub async fn start(answer: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (shared, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone(), answer.clone()));
            }
        });
        Fake { endpoint: Endpoint::parse(&format!("http://{address}")).unwrap(), seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
}

async fn serve(
    stream: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<impl Fn(usize, &Seen) -> Answer>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let (number, request) = {
            let mut all = seen.lock();
            all.push(request.clone());
            (all.len() - 1, request)
        };
        let (status, headers, body) = answer(number, &request);
        if status == 0 {
            std::future::pending::<()>().await;
        }
        let head =
            format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut headers = HashMap::new();
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { headers, body })
}
