//! What is spilled: found again when the log is opened, as far as the public checkpoint speaks of it.

use liaison_protocol::merkle::{Hash, Tree};
use liaison_protocol::note::{SignedCheckpoint, open_checkpoint};
use liaison_protocol::tile::{self, Tile};

use super::error::{LogError, damaged, io_at};
use super::place::Place;
use crate::disk::Disk;

/// The tree up to the public checkpoint, from its tiles.
pub(super) fn open_spilled<D: Disk>(
    disk: &D,
    place: &Place,
) -> Result<(Tree, Option<SignedCheckpoint>), LogError> {
    let path = format!("{}/checkpoint", place.folder);
    let Some(note) = disk.read(&path).map_err(io_at("read", &path))? else { return Ok((Tree::new(), None)) };
    let note = String::from_utf8(note).or_else(|_| damaged(&path, "it is not text"))?;
    let signed = open_checkpoint(&note, &place.origin, &place.key)
        .or_else(|flaw| damaged(&path, format!("{flaw} (is this folder another node's?)")))?;
    let head = *signed.head();
    // A full tile holds whatever a partial one of the same place did.
    let hashes = |level: u8, index: u64, width: u16| -> Result<Vec<Hash>, LogError> {
        let paths =
            [width, 256].map(|width| format!("{}/{}", place.folder, tile::tile_path(level, index, width)));
        for path in &paths {
            if let Some(mut bytes) = disk.read(path).map_err(io_at("read", path))? {
                bytes.truncate(usize::from(width) * 32);
                return tile::decode_tile(&bytes, width).or_else(|flaw| damaged(path, flaw.to_string()));
            }
        }
        damaged(&paths[0], "the tile is missing")
    };
    let blocks = head.size / 256;
    let mut level8 = Vec::new();
    for index in 0..blocks.div_ceil(256) {
        level8.extend(hashes(1, index, (blocks - index * 256).min(256) as u16)?);
    }
    let rest = match (head.size % 256) as u16 {
        0 => Vec::new(),
        width => hashes(0, blocks, width)?,
    };
    let tree = Tree::resume(head.size, level8, &rest).or_else(|flaw| damaged(&path, flaw.to_string()))?;
    if tree.head() != head {
        return damaged(&path, "the tiles do not have its root");
    }
    Ok((tree, Some(signed)))
}

/// Remove the tiles beyond the public checkpoint: a spill that was broken off may have left them torn.
pub(super) fn cut_tiles<D: Disk>(disk: &D, place: &Place, spilled: u64, size: u64) -> Result<(), LogError> {
    let edge: Vec<Tile> = tile::partial_tiles(spilled).collect();
    for tile in tile::new_tiles(spilled, size) {
        let held = edge.iter().find(|held| (held.level, held.index) == (tile.level, tile.index));
        let held = held.map_or(0, |held| held.width);
        for path in files_of(&tile.full()) {
            let full = format!("{}/{path}", place.folder);
            let folder = format!("{full}.p");
            let widths = disk.list(&folder).map_err(io_at("read", &folder))?;
            let widths: Vec<u16> = widths.iter().filter_map(|name| name.parse().ok()).collect();
            for width in widths.iter().filter(|width| **width > held) {
                let path = format!("{folder}/{width}");
                disk.remove(&path).map_err(io_at("remove", &path))?;
            }
            // In a copy made while the log grew, the full one may stand in for the one held.
            if held == 0 || widths.contains(&held) {
                disk.remove(&full).map_err(io_at("remove", &full))?;
            }
        }
    }
    Ok(())
}

/// The files of a tile: its hashes and, at the bottom, its entries.
pub(super) fn files_of(tile: &Tile) -> impl Iterator<Item = String> {
    std::iter::once(tile.path()).chain((tile.level == 0).then(|| tile.entries_path()))
}
