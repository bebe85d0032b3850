"""Views: directories that answer questions. Which there are (`nodes`), and what they hold (`answers`)."""
