//! The part of Python's pickle protocol 2 that PyTorch checkpoints consist of, read as data: no name in it is ever looked
//! up or called.

use super::ConvertError;

/// Nesting and stack are no deeper than this in real checkpoints.
const DEEPEST: usize = 1 << 16;

/// What a pickle holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// "module name"
    Global(String),
    /// Tuples and lists.
    Sequence(Vec<Value>),
    /// In the order written.
    Map(Vec<(Value, Value)>),
    /// A callable and its arguments, not called.
    Call(Box<Value>, Box<Value>),
    /// What the pickle names but does not hold.
    Persistent(Box<Value>),
    /// Where a run of values begins.
    Mark,
}

impl Value {
    /// The value under a text key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(k, _)| matches!(k, Self::Text(t) if t == key)).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Value]> {
        if let Self::Sequence(items) = self { Some(items) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn size(&self) -> Option<usize> {
        if let Self::Int(number) = self { usize::try_from(*number).ok() } else { None }
    }
}

/// Reads a pickle.
pub(super) fn read(bytes: &[u8]) -> Result<Value, ConvertError> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), memory: Vec::new(), budget: 64 * bytes.len() + 1024 };
    loop {
        let code = machine.take(1)?[0];
        if code == b'.' {
            return machine.pop();
        }
        machine.step(code)?;
        if machine.stack.len() > DEEPEST {
            return Err(malformed("its stack grows without end".to_owned()));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memory: Vec<Option<Value>>,
    /// Values that may still be copied out of the memory: a hostile pickle can double what it holds with every byte.
    budget: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), ConvertError> {
        match code {
            0x80 => drop(self.take(1)?),
            b'}' => self.stack.push(Value::Map(Vec::new())),
            b']' | b')' => self.stack.push(Value::Sequence(Vec::new())),
            b'(' => self.stack.push(Value::Mark),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            0x8a => {
                let length = self.take(1)?[0];
                self.integer(length.into())?;
            }
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.stack.push(Value::Float(number));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                let text = std::str::from_utf8(self.take(length)?).map_err(|e| malformed(e.to_string()))?;
                self.stack.push(Value::Text(text.to_owned()));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Global(format!("{module} {name}")));
            }
            b'q' => {
                let slot = self.take(1)?[0];
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.remember(slot as usize)?;
            }
            b'h' => {
                let slot = self.take(1)?[0];
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot as usize)?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.stack.push(Value::Persistent(Box::new(id)));
            }
            _ => return self.build(code),
        }
        Ok(())
    }

    /// The codes that make values of values.
    fn build(&mut self, code: u8) -> Result<(), ConvertError> {
        match code {
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.stack.push(Value::Sequence(items));
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or_else(empty)?;
                let items = self.stack.split_off(from);
                self.stack.push(Value::Sequence(items));
            }
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                // An ordered dictionary begins empty and is filled like a plain one.
                let dictionary = matches!(&callable, Value::Global(name) if name == "collections OrderedDict");
                self.stack.push(match dictionary {
                    true => Value::Map(Vec::new()),
                    false => Value::Call(Box::new(callable), Box::new(arguments)),
                });
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.fill(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.fill(items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            // The state of an object: attributes of a dictionary, which hold no tensors.
            b'b' => drop(self.pop()?),
            other => return Err(malformed(format!("it has the unknown code {other:#x} at {}", self.at - 1))),
        }
        Ok(())
    }

    fn fill(&mut self, items: Vec<Value>) -> Result<(), ConvertError> {
        let Some(Value::Map(pairs)) = self.stack.last_mut() else {
            return Err(malformed("it fills what is no dictionary".to_owned()));
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Ok(())
    }

    fn extend(&mut self, more: Vec<Value>) -> Result<(), ConvertError> {
        let Some(Value::Sequence(items)) = self.stack.last_mut() else {
            return Err(malformed("it extends what is no list".to_owned()));
        };
        items.extend(more);
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, ConvertError> {
        let at = self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or_else(empty)?;
        let items = self.stack.split_off(at + 1);
        self.stack.pop();
        Ok(items)
    }

    fn remember(&mut self, slot: usize) -> Result<(), ConvertError> {
        if slot > self.bytes.len() {
            return Err(malformed(format!("memory slot {slot}")));
        }
        let value = self.stack.last().ok_or_else(empty)?;
        // Containers are remembered while they are empty and are only pointed back to by cycles; small values and
        // references to storages are what is used again.
        let value = value.clone();
        self.budget = self.budget.checked_sub(weight(&value, 0)).ok_or_else(too_much)?;
        if self.memory.len() <= slot {
            self.memory.resize(slot + 1, None);
        }
        self.memory[slot] = Some(value);
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Result<(), ConvertError> {
        let value = self.memory.get(slot).cloned().flatten();
        let value = value.ok_or_else(|| malformed(format!("memory slot {slot} is empty")))?;
        self.budget = self.budget.checked_sub(weight(&value, 0)).ok_or_else(too_much)?;
        self.stack.push(value);
        Ok(())
    }

    /// A little-endian signed integer; one or two bytes are unsigned.
    fn integer(&mut self, length: usize) -> Result<(), ConvertError> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(malformed(format!("an integer of {length} bytes")));
        }
        let negative = length > 2 && bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(whole)));
        Ok(())
    }

    fn line(&mut self) -> Result<String, ConvertError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or_else(empty)?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ConvertError> {
        self.take(N)?.try_into().map_err(|_| empty())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ConvertError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or_else(empty)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn pop(&mut self) -> Result<Value, ConvertError> {
        self.stack.pop().ok_or_else(empty)
    }
}

/// How many values one consists of. What is nested too deeply to be looked at weighs more than any budget.
fn weight(value: &Value, depth: usize) -> usize {
    if depth > 64 {
        return usize::MAX;
    }
    let sum = |parts: &mut dyn Iterator<Item = &Value>| {
        parts.fold(1usize, |sum, part| sum.saturating_add(weight(part, depth + 1)))
    };
    match value {
        Value::Sequence(items) => sum(&mut items.iter()),
        Value::Map(pairs) => sum(&mut pairs.iter().flat_map(|(k, v)| [k, v])),
        Value::Call(callable, arguments) => sum(&mut [&**callable, &**arguments].into_iter()),
        Value::Persistent(id) => sum(&mut std::iter::once(&**id)),
        Value::Text(text) => 1 + text.len() / 16,
        _ => 1,
    }
}

fn malformed(what: String) -> ConvertError {
    ConvertError::Malformed { format: "pickle", what }
}

fn empty() -> ConvertError {
    malformed("it ends too early, or takes what it has not put there".to_owned())
}

fn too_much() -> ConvertError {
    malformed("it unfolds into more than its size allows".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `pickle.dumps({"a": [1, -2, "x"], "b": (True, None)}, 2)`
    const PLAIN: &[u8] = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffX\x01\x00\x00\x00xq\x03eX\x01\x00\x00\x00bq\x04\x88N\x86q\x05u.";

    #[test]
    fn plain_values_are_read_as_python_wrote_them() {
        let value = read(PLAIN).unwrap();
        let expected = [Value::Int(1), Value::Int(-2), Value::Text("x".to_owned())];
        assert_eq!(value.get("a").unwrap().items().unwrap(), expected);
        assert_eq!(value.get("b").unwrap().items().unwrap(), [Value::Bool(true), Value::None]);
    }

    #[test]
    fn a_callable_is_named_but_not_called() {
        let value = read(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.").unwrap();
        let Value::Call(callable, _) = value else { panic!("{value:?}") };
        assert_eq!(*callable, Value::Global("os system".to_owned()));
    }

    #[test]
    fn a_pickle_that_doubles_itself_is_refused() {
        let mut bytes = b"\x80\x02]q\x00".to_vec();
        for _ in 0..200 {
            // A pair of the last value, remembered in its place.
            bytes.extend(b"h\x00h\x00\x86q\x00");
        }
        bytes.push(b'.');
        assert!(read(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_changed_pickle_never_panics(at in 0..PLAIN.len(), value in any::<u8>()) {
            let mut bytes = PLAIN.to_vec();
            bytes[at] = value;
            let _ = read(&bytes);
        }
    }
}
