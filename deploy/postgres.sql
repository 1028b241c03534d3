-- A database for each part: what one of them migrates never touches another.
create database feast;
create database mlflow;
