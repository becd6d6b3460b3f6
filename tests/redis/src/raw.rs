//! Redis's protocol in a few lines, so that tests see what is there and not what a client makes of it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is there.
    Nil,
    /// A number.
    Number(i64),
    /// Bytes, or a status.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Reply>),
    /// A refusal.
    Error(String),
}

impl Reply {
    /// The bytes.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("not bytes: {other:?}"),
        }
    }

    /// The bytes as text.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn text(self) -> String {
        String::from_utf8(self.bytes()).expect("a text")
    }

    /// The number.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            other => panic!("not a number: {other:?}"),
        }
    }

    /// The parts.
    ///
    /// # Panics
    /// When it is something else.
    #[must_use]
    pub fn list(self) -> Vec<Self> {
        match self {
            Self::List(list) => list,
            other => panic!("not a list: {other:?}"),
        }
    }
}

/// A connection that sends one command after the other.
#[derive(Debug)]
pub struct RawConnection(BufReader<TcpStream>);

impl RawConnection {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer takes half a minute.
    pub fn try_command<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> io::Result<Reply> {
        let mut command = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            let part = part.as_ref();
            command.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            command.extend_from_slice(part);
            command.extend_from_slice(b"\r\n");
        }
        self.send(&command)
    }

    /// Sends a command as it was seen on a wire and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer takes half a minute.
    pub fn send(&mut self, command: &[u8]) -> io::Result<Reply> {
        self.0.get_mut().write_all(command)?;
        self.reply()
    }

    /// Sends a command and reads its answer.
    ///
    /// # Panics
    /// When the connection breaks.
    pub fn command<T: AsRef<[u8]>>(&mut self, parts: &[T]) -> Reply {
        self.try_command(parts).expect("the server answers")
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default()).into_owned();
        let number = || text.parse::<i64>().map_err(io::Error::other);
        match line.first() {
            Some(b'+') => Ok(Reply::Bytes(text.into_bytes())),
            Some(b'-') => Ok(Reply::Error(text)),
            Some(b':') => Ok(Reply::Number(number()?)),
            Some(b'$') => self.bulk(number()?),
            Some(b'*') => match usize::try_from(number()?) {
                Ok(count) => (0..count).map(|_| self.reply()).collect::<io::Result<_>>().map(Reply::List),
                Err(_) => Ok(Reply::Nil),
            },
            other => Err(io::Error::other(format!("unknown kind of answer: {other:?}"))),
        }
    }

    fn bulk(&mut self, bytes: i64) -> io::Result<Reply> {
        let Ok(bytes) = usize::try_from(bytes) else {
            return Ok(Reply::Nil);
        };
        let mut bulk = vec![0; bytes + 2];
        self.0.read_exact(&mut bulk)?;
        bulk.truncate(bytes);
        Ok(Reply::Bytes(bulk))
    }
}
