"""The tools of Lilong: the demonstration, the reference city receiver, virtual nodes."""
