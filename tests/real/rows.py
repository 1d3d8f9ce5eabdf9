def make(apps): pass
