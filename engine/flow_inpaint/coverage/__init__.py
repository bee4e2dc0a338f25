"""What other frames see of the hole, told before the long run from a sample of small pictures."""
from .forecast import Coverage, Found, forecast
from .picture import draw
from .sampling import RememberedMatte, Sample, Stretch, plan, read_samples

__all__ = ["Coverage", "Found", "RememberedMatte", "Sample", "Stretch", "draw", "forecast", "plan", "read_samples"]
