pub fn ready() {}
