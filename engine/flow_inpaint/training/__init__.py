"""The paper's training: generated scenes whose flow is known exactly, mattes, losses."""
