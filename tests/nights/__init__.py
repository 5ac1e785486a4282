"""Planted nights: does the gate stop what it should, by the row that is meant for it, and let a good night pass?

world.py       a small world: what the samples of a batch show, and how they land
faults.py      the faults, each with its dose and the row that is meant for it
night.py       a champion's first night, and a second one, by the product's own stages
__main__.py    `make bench-nights`: many seeds of each
"""
