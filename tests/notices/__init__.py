"""What people are told, and by real servers on loopback that it arrives."""
