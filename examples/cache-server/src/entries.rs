//! Entries in a folder, one file each: what is kept beside the body, the body, its provenance label, and how long
//! the first and the last are. The digest that the label names covers both the body and what is kept beside it.
//!
//! A file is named by digests of its lane and key, so that nothing that a client sends becomes part of a path, and
//! by its generation. It appears whole under its name or not at all, and is never changed afterwards.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cachegate_types::{EntryKey, Lane, WorkspaceId};
use ring::digest::{Context, SHA256, digest};

/// Ends a whole entry: a file without it was never completed.
const MAGIC: &[u8; 8] = b"cgentry2";
/// The length of the label and the magic.
const FOOTER: usize = 4 + 8;
/// No label is longer.
const MAX_LABEL: u32 = 8 * 1024;

/// The folder.
#[derive(Debug)]
pub(crate) struct Entries {
    folder: PathBuf,
}

/// Where an entry belongs: the same key in two lanes is two places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    name: String,
}

/// A stored entry, its bytes read through once.
pub(crate) struct Stored {
    /// Stands at the beginning of the body.
    pub(crate) file: File,
    /// The length of the body.
    pub(crate) length: u64,
    /// What was kept beside the body.
    pub(crate) beside: Vec<u8>,
    pub(crate) digest: [u8; 32],
    pub(crate) label: Vec<u8>,
    pub(crate) generation: u32,
}

/// A body that is being received.
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    digest: Context,
    /// The length of all that the digest covers.
    length: u64,
}

/// What became of a completed body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// It is there now.
    New,
    /// Another one of this generation was faster.
    Late,
}

impl Entries {
    /// Opens the folder, making it if need be, and clears what a crash left half received.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let incoming = folder.join("incoming");
        fs::create_dir_all(&incoming)?;
        for leftover in fs::read_dir(&incoming)? {
            let leftover = leftover?;
            if leftover.file_type()?.is_file() {
                fs::remove_file(leftover.path())?;
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Whether any entry is there.
    pub(crate) fn any(folder: &Path) -> io::Result<bool> {
        match fs::read_dir(folder) {
            Ok(items) => {
                for item in items {
                    if item?.file_name() != "incoming" {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn place(
        &self,
        workspace: WorkspaceId,
        lane: &Lane,
        generation: u32,
        key: &EntryKey,
    ) -> Place {
        let lane = [&generation.to_be_bytes()[..], &lane.to_canonical_bytes()].concat();
        let name = hex(digest(&SHA256, key.as_bytes()).as_ref());
        let folder = self.folder.join(workspace.to_string()).join(hex(digest(&SHA256, &lane).as_ref()));
        Place { folder: folder.join(name.get(..2).unwrap_or_default()), name }
    }

    /// The newest generation in this place, read through to its digest. An older one never comes back, whatever
    /// became of the newest.
    pub(crate) fn newest(&self, place: &Place) -> io::Result<Option<Stored>> {
        let Some(generation) = place.newest_generation()? else { return Ok(None) };
        let file = File::open(place.path(generation))?;
        Ok(Some(read(file, generation)?))
    }

    /// Shows what lies in each place of this workspace: the place and its newest generation's label, which is empty where
    /// none can be read. Bodies are not read. It ends when `each` breaks it off.
    pub(crate) fn labels(
        &self,
        workspace: WorkspaceId,
        mut each: impl FnMut(&Place, &[u8]) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        for lane in folders(&self.folder.join(workspace.to_string()))? {
            for folder in folders(&lane)? {
                let mut newest = BTreeMap::<String, u32>::new();
                for item in fs::read_dir(&folder)? {
                    let file = item?.file_name();
                    let parts = file.to_str().and_then(|file| file.rsplit_once('.'));
                    if let Some((name, generation)) = parts
                        && let Ok(generation) = generation.parse::<u32>()
                    {
                        let known = newest.entry(name.to_owned()).or_default();
                        *known = generation.max(*known);
                    }
                }
                for (name, generation) in newest {
                    let place = Place { folder: folder.clone(), name };
                    let label = File::open(place.path(generation)).and_then(|mut file| label(&mut file));
                    let label = label.map(|(label, _)| label).unwrap_or_default();
                    if each(&place, &label).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Begins to receive a body, with what to keep beside it.
    pub(crate) fn receive(&self, beside: &[u8]) -> io::Result<Incoming> {
        let random: [u8; 16] = ring::rand::generate(&ring::rand::SystemRandom::new())
            .map_err(|_| io::Error::other("the machine gave no randomness"))?
            .expose();
        let path = self.folder.join("incoming").join(hex(&random));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let mut incoming = Incoming { file, path, digest: Context::new(&SHA256), length: 0 };
        let length = u16::try_from(beside.len()).map_err(io::Error::other)?;
        incoming.write(&length.to_be_bytes())?;
        incoming.write(beside)?;
        Ok(incoming)
    }
}

impl Place {
    /// The generation to write where the newest one cannot be read.
    pub(crate) fn next_generation(&self) -> io::Result<u32> {
        Ok(self.newest_generation()?.map_or(0, |newest| newest.saturating_add(1)))
    }

    /// The highest generation that is there.
    fn newest_generation(&self) -> io::Result<Option<u32>> {
        let mut newest = None;
        let items = match fs::read_dir(&self.folder) {
            Ok(items) => items,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        for item in items {
            let file = item?.file_name();
            let generation = file
                .to_str()
                .and_then(|file| file.strip_prefix(&self.name)?.strip_prefix('.')?.parse::<u32>().ok());
            newest = newest.max(generation);
        }
        Ok(newest)
    }

    fn path(&self, generation: u32) -> PathBuf {
        self.folder.join(format!("{}.{generation}", self.name))
    }
}

impl Incoming {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        finished(self.digest.clone())
    }

    /// Puts the body with its label in its place, as this generation, unless one is there.
    pub(crate) fn keep(mut self, place: &Place, generation: u32, label: &[u8]) -> io::Result<Kept> {
        let length = u32::try_from(label.len()).map_err(io::Error::other)?;
        self.file.write_all(label)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.sync_all()?;
        fs::create_dir_all(&place.folder)?;
        // A link, unlike a rename, never replaces what is there.
        match fs::hard_link(&self.path, place.path(generation)) {
            Ok(()) => Ok(Kept::New),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Kept::Late),
            Err(error) => Err(error),
        }
    }
}

/// Kept or not, the received file goes.
impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The folders in a folder; none where it is not there.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(items) => items.map(|item| item.map(|item| item.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the entry's file is cut off or damaged")
}

/// The label of a file, and how long what its digest covers is.
fn label(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let size = file.metadata()?.len();
    let footer_at = size.checked_sub(FOOTER as u64).ok_or_else(broken)?;
    let mut footer = [0; FOOTER];
    file.seek(SeekFrom::Start(footer_at))?;
    file.read_exact(&mut footer)?;
    let (length, magic) = footer.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = u32::from_be_bytes(*length);
    if magic != MAGIC || length > MAX_LABEL {
        return Err(broken());
    }
    let covered = footer_at.checked_sub(u64::from(length)).ok_or_else(broken)?;
    file.seek(SeekFrom::Start(covered))?;
    let mut label = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact(&mut label)?;
    Ok((label, covered))
}

fn read(mut file: File, generation: u32) -> io::Result<Stored> {
    let (label, covered) = label(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    let mut context = Context::new(&SHA256);
    let mut beside_length = [0; 2];
    file.read_exact(&mut beside_length)?;
    context.update(&beside_length);
    let mut beside = vec![0; usize::from(u16::from_be_bytes(beside_length))];
    let body_at = 2 + beside.len() as u64;
    let length = covered.checked_sub(body_at).ok_or_else(broken)?;
    file.read_exact(&mut beside)?;
    context.update(&beside);
    let mut body = (&mut file).take(length);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match body.read(&mut buffer)? {
            0 => break,
            count => context.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    file.seek(SeekFrom::Start(body_at))?;
    Ok(Stored { file, length, beside, digest: finished(context), label, generation })
}

fn finished(context: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
