//! The cells of b-tree pages and the values in them, taken for what they are only as far as they can
//! be that.

use std::collections::HashSet;

use super::pages::Pages;

/// More than any row of ours has; a length above it is damage.
const MAX_PAYLOAD: usize = 1 << 28;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// One entry of a table (with its row id) or an index.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub rowid: Option<i64>,
    pub values: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    TableLeaf,
    TableInside,
    IndexLeaf,
    IndexInside,
}

impl Kind {
    pub(super) const fn is_table(self) -> bool {
        matches!(self, Self::TableLeaf | Self::TableInside)
    }
}

/// A page of a b-tree.
pub(super) struct Page {
    bytes: Vec<u8>,
    /// Where its head begins: behind the file's on the first page.
    head: usize,
    pub kind: Kind,
}

impl Page {
    pub(super) fn read(pages: &Pages, number: u32) -> Option<Self> {
        let bytes = pages.read(number)?;
        let head = if number == 1 { 100 } else { 0 };
        let kind = match bytes.get(head)? {
            0x0d => Kind::TableLeaf,
            0x05 => Kind::TableInside,
            0x0a => Kind::IndexLeaf,
            0x02 => Kind::IndexInside,
            _ => return None,
        };
        Some(Self { bytes, head, kind })
    }

    fn number(&self, at: usize) -> Option<usize> {
        let two = self.bytes.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*two)))
    }

    fn child(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    fn is_inside(&self) -> bool {
        matches!(self.kind, Kind::TableInside | Kind::IndexInside)
    }

    /// Where the cells begin; `None` for one that is outside of the page.
    fn places(&self) -> Vec<Option<usize>> {
        let array = self.head + if self.is_inside() { 12 } else { 8 };
        let count = self.number(self.head + 3).unwrap_or(0);
        let place = |index| {
            self.number(array + 2 * index)
                .filter(|&at| at >= array && at < self.bytes.len())
        };
        // No more than fit.
        (0..count.min(self.bytes.len() / 4)).map(place).collect()
    }

    /// Its entries, each as far as it can be read. An inner page of a table has none.
    pub(super) fn cells(&self, pages: &Pages) -> Vec<Option<Cell>> {
        if self.kind == Kind::TableInside {
            return Vec::new();
        }
        let cell = |at: Option<usize>| self.cell(pages, at?);
        self.places().into_iter().map(cell).collect()
    }

    fn cell(&self, pages: &Pages, at: usize) -> Option<Cell> {
        let mut input = self.bytes.get(at..)?;
        if self.kind == Kind::IndexInside {
            input = input.get(4..)?;
        }
        let length = usize::try_from(varint(&mut input)?).ok()?;
        let rowid = match self.kind {
            Kind::TableLeaf => Some(varint(&mut input)?.cast_signed()),
            _ => None,
        };
        let payload = payload(pages, input, length, self.kind)?;
        Some(Cell {
            rowid,
            values: values(&payload)?,
        })
    }

    fn children(&self) -> Vec<Option<u32>> {
        if !self.is_inside() {
            return Vec::new();
        }
        let mut children: Vec<_> = self
            .places()
            .into_iter()
            .map(|at| self.child(at?))
            .collect();
        children.push(self.child(self.head + 8));
        children
    }
}

/// A whole tree, as far as it can be read.
#[derive(Default)]
pub(super) struct Tree {
    pub cells: Vec<Cell>,
    /// Whether something of it could not be read, or cannot be a part of it.
    pub broken: bool,
}

impl Tree {
    pub(super) fn read(pages: &Pages, root: u32) -> Self {
        let mut tree = Self::default();
        let (mut seen, mut next) = (HashSet::new(), vec![(root, None)]);
        while let Some((number, of_table)) = next.pop() {
            let page = Page::read(pages, number).filter(|page| {
                seen.insert(number) && of_table.is_none_or(|table| table == page.kind.is_table())
            });
            let Some(page) = page else {
                tree.broken = true;
                continue;
            };
            for child in page.children() {
                match child {
                    Some(child) => next.push((child, Some(page.kind.is_table()))),
                    None => tree.broken = true,
                }
            }
            for cell in page.cells(pages) {
                match cell {
                    Some(cell) => tree.cells.push(cell),
                    None => tree.broken = true,
                }
            }
        }
        tree
    }
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for index in 0..9 {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        if index == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The content of a cell: what stands in the page, and the rest from the pages behind it.
fn payload(pages: &Pages, local: &[u8], length: usize, kind: Kind) -> Option<Vec<u8>> {
    let usable = pages.size();
    let most = if kind.is_table() {
        usable - 35
    } else {
        (usable - 12) * 64 / 255 - 23
    };
    if length <= most {
        return local.get(..length).map(<[u8]>::to_vec);
    }
    if length > MAX_PAYLOAD || length.div_ceil(usable) > pages.count() as usize {
        return None;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let kept = least + (length - least) % (usable - 4);
    let kept = if kept <= most { kept } else { least };
    let mut payload = local.get(..kept)?.to_vec();
    let mut next = u32::from_be_bytes(*local.get(kept..)?.first_chunk()?);
    while payload.len() < length {
        let page = pages.read(next)?;
        let (link, content) = page.split_first_chunk()?;
        let wanted = (length - payload.len()).min(content.len());
        payload.extend_from_slice(&content[..wanted]);
        next = u32::from_be_bytes(*link);
    }
    // The chain ends with the content.
    (next == 0).then_some(payload)
}

fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut rest = payload;
    let head = usize::try_from(varint(&mut rest)?).ok()?;
    let head_bytes = payload.len() - rest.len();
    let mut types = payload.get(head_bytes..head)?;
    let mut content = payload.get(head..)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        values.push(value(varint(&mut types)?, &mut content)?);
    }
    content.is_empty().then_some(values)
}

fn value(kind: u64, content: &mut &[u8]) -> Option<Value> {
    let mut take = |length: usize| {
        let (value, rest) = content.split_at_checked(length)?;
        *content = rest;
        Some(value)
    };
    let integer = |bytes: &[u8]| {
        let negative = bytes.first().is_some_and(|&byte| byte >= 0x80);
        let start = if negative { -1_i64 } else { 0 };
        bytes
            .iter()
            .fold(start, |number, &byte| number << 8 | i64::from(byte))
    };
    Some(match kind {
        0 => Value::Null,
        1..=4 => Value::Integer(integer(take(kind as usize)?)),
        5 => Value::Integer(integer(take(6)?)),
        6 => Value::Integer(integer(take(8)?)),
        7 => Value::Real(f64::from_be_bytes(take(8)?.try_into().ok()?)),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        10 | 11 => return None,
        _ => {
            let length = usize::try_from((kind - 12) / 2).ok()?;
            let bytes = take(length)?.to_vec();
            if kind.is_multiple_of(2) {
                Value::Blob(bytes)
            } else {
                Value::Text(String::from_utf8(bytes).ok()?)
            }
        }
    })
}
