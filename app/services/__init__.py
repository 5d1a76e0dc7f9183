"""What the screen can do, without the screen: no module here knows Gradio or HTTP."""

from app.services.models import ModelHost
from app.services.searching import Filters
from app.services.workbench import Workbench

__all__ = ["Filters", "ModelHost", "Workbench"]
