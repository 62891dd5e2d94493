"""What measures and checks machines: benches, the doctor, and programs compiled for TPUs."""
