"""What is wrong with encrypted content: facts about a file, and questions to them. Runs in the application."""
